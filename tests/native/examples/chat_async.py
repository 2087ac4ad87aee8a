import asyncio

from ollama import AsyncClient


async def main() -> None:
    message = {"role": "user", "content": "Why is the sky blue?"}
    response = await AsyncClient().chat(model="llama3.2", messages=[message])
    print(response["message"]["content"])
    async for part in await AsyncClient().chat(model="llama3.2", messages=[message], stream=True):
        print(part["message"]["content"], end="", flush=True)
    print()


asyncio.run(main())
