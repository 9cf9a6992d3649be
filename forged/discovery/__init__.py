"""Floor 4: which boxes exist now. vast.ai, RunPod, or any command; an error is never "none". Nothing is here yet."""
