"""An expert's script beside the seed: how much there is to be gained."""
