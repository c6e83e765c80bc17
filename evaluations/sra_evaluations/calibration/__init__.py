"""Find the settings that help a model most, without labels."""

from typing import TYPE_CHECKING

from sra_rag.lazy_imports import lazy_names

if TYPE_CHECKING:
    from sra_evaluations.calibration.evidence_search import EvidenceSearchOptions, calibrate_evidence
    from sra_evaluations.calibration.probe_questions import make_probe_questions
    from sra_evaluations.calibration.profile import Profile
    from sra_evaluations.calibration.search import CalibrationOptions, calibrate
else:  # type checkers would take any name for public if they saw a __getattr__
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "sra_evaluations.calibration.evidence_search": ["EvidenceSearchOptions", "calibrate_evidence"],
            "sra_evaluations.calibration.probe_questions": ["make_probe_questions"],
            "sra_evaluations.calibration.profile": ["Profile"],
            "sra_evaluations.calibration.search": ["CalibrationOptions", "calibrate"],
        },
    )

__all__ = [
    "CalibrationOptions",
    "EvidenceSearchOptions",
    "Profile",
    "calibrate",
    "calibrate_evidence",
    "make_probe_questions",
]
