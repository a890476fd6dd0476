"""The paper's comparisons as one command: arms, seeds, sets and claims from one file that is frozen before the run."""

from rarl.studies.design import Arm, Claim, Contrast, Study, StudySet, load_study
from rarl.studies.running import run_study

__all__ = ["Arm", "Claim", "Contrast", "Study", "StudySet", "load_study", "run_study"]
