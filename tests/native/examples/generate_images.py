import base64
import sys
from pathlib import Path

from ollama import Image, generate

path = Path(sys.argv[1])

for image in (Image(value=path), str(path), path.read_bytes(), base64.b64encode(path.read_bytes()).decode()):
    print(generate("llava", "explain this image", images=[image])["response"])
