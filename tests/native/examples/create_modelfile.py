"""What clients for Python sent until version 0.4, which had `create(model=…, modelfile=…)`."""

import json
import os

import httpx

modelfile = '''
FROM llama3.2
SYSTEM You are mario from super mario bros.
PARAMETER temperature 0.5
PARAMETER stop "<EOT>"
PARAMETER stop "<END>"
MESSAGE user Who are you?
MESSAGE assistant It's-a me!
LICENSE """MIT, as it is."""
'''

url, headers = os.environ["OLLAMA_HOST"], {"Authorization": f"Bearer {os.environ['OLLAMA_API_KEY']}"}
body = {"model": "mario-of-old", "modelfile": modelfile, "stream": True}
with httpx.stream("POST", f"{url}/api/create", json=body, headers=headers) as response:
    statuses = [json.loads(line) for line in response.iter_lines()]

print(statuses[-1])
