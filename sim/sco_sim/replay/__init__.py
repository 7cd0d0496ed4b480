"""`replay://FILE`: a trace that `record+URL` wrote, as a device again, with the driver that ships on its wire.

What the driver sends is compared with what was sent then; the first difference is raised as `TraceDiffers`.
"""

from __future__ import annotations
