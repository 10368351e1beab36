# row: 52
# attempts: puts a .pth file, a sitecustomize and a conftest where Python starts them
# expects: ok
# defence: only the box's folder can be written
# off: landlock mount namespaces
import pathlib
import site

import torch
from torch import nn

from prepare import Tokenizer, evaluate_bpb

tokenizer = Tokenizer.from_directory()
model = nn.Sequential(nn.Embedding(256, 16), nn.Linear(16, 256))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
folders = [
    pathlib.Path(torch.__file__).parent.parent,
    *map(pathlib.Path, site.getsitepackages()),
    pathlib.Path("<target>"),
    pathlib.Path("<scratch>"),
]
for folder in folders:
    for name in ("<mark>.pth", "conftest_<mark>.py", "sitecustomize_<mark>.py"):
        try:
            (folder / name).write_text("# harmless\n")
        except OSError:
            continue
evaluate_bpb(model, tokenizer, 8)
