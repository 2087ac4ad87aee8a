import os

from openai import OpenAI

client = OpenAI(base_url=f"{os.environ['OLLAMA_HOST']}/v1", api_key=os.environ["OLLAMA_API_KEY"])

completion = client.chat.completions.create(
    model="llama3.2", messages=[{"role": "user", "content": "Why is the sky blue?"}]
)
print(completion.choices[0].message.content)
