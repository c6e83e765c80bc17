"""Find the setting that helps a model most on one's own documents, without labels."""

from sra_evaluations.calibration.profile import Profile
from sra_evaluations.calibration.search import CalibrationOptions, calibrate

__all__ = ["CalibrationOptions", "Profile", "calibrate"]
