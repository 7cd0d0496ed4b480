"""The lane's side of a fleet. Nothing of it is loaded on a lane without `[fleet]` in its settings."""
