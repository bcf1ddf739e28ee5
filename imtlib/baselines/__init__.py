"""Models to compare with: counting ones and sequential ones."""
