"""Find the setting that helps a model most on one's own documents, without labels."""

from typing import TYPE_CHECKING

from sra_rag.lazy_imports import lazy_names

if TYPE_CHECKING:
    from sra_evaluations.calibration.profile import Profile
    from sra_evaluations.calibration.search import CalibrationOptions, calibrate
else:  # type checkers would take any name for public if they saw a __getattr__
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "sra_evaluations.calibration.profile": ["Profile"],
            "sra_evaluations.calibration.search": ["CalibrationOptions", "calibrate"],
        },
    )

__all__ = ["CalibrationOptions", "Profile", "calibrate"]
