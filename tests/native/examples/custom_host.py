import os

from ollama import Client

url, key = os.environ.pop("OLLAMA_HOST"), os.environ.pop("OLLAMA_API_KEY")

client = Client(host=url, headers={"Authorization": f"Bearer {key}", "x-some-header": "some-value"})
response = client.chat(model="llama3.2", messages=[{"role": "user", "content": "Why is the sky blue?"}])
print(response.message.content)
