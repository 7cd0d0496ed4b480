-- What a lane said last of its journal: which one it is, and where it ends. What of it is not stored yet is on its way,
-- or is refused; a case of another journal is one that the lane has no more.

ALTER TABLE lanes ADD COLUMN epoch text, ADD COLUMN seq bigint;

-- Whose lanes were compared, where a chain has several merchants; all of them without any.
ALTER TABLE reconciliations ADD COLUMN shops text NOT NULL DEFAULT '';
