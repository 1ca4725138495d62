"""xctrules: pass/fail certificates for lithium-ion cells from X-ray CT scans."""

from __future__ import annotations

__version__ = "0.1.0"
