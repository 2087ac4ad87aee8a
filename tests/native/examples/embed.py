import asyncio

import ollama

texts = ["The sky is blue because of rayleigh scattering", "Grass is green because of chlorophyll"]

batch = ollama.embed(model="nomic-embed-text", input=texts)["embeddings"]
one_by_one = [ollama.embed(model="nomic-embed-text", input=text)["embeddings"][0] for text in texts]
old = [ollama.embeddings(model="nomic-embed-text", prompt=text)["embedding"] for text in texts]


async def gather() -> list[ollama.EmbedResponse]:
    client = ollama.AsyncClient()
    return await asyncio.gather(*(client.embed(model="nomic-embed-text", input=text) for text in texts))


gathered = [response["embeddings"][0] for response in asyncio.run(gather())]

print(len(batch), {len(vector) for vector in (*batch, *old)}, batch == one_by_one == gathered)
