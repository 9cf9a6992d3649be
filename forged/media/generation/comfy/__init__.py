"""ComfyUI: from the graph that made a file to a `Generation`.

`found` looks for graphs among the raw blocks, `outputs` for the path to what was saved, `passes` for the samplers on it, `texts`,
`models` and `sizes` for what they were given. Nodes are known by the names of their inputs, so that those nobody has seen work;
what a node computes when it runs (a language model, arithmetic, a random choice) is in no graph and stays unknown.
What must not be here: containers, and any other generator's text.
"""

from forged.media.generation.comfy.found import read
from forged.media.generation.comfy.reading import read_graph

__all__ = ["read", "read_graph"]
