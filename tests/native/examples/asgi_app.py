"""An application that streams what a model says."""

import asyncio
from collections.abc import AsyncIterator

import httpx2
from ollama import AsyncClient
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

client = AsyncClient()


async def chat(request: Request) -> Response:
    messages = [{"role": "user", "content": request.query_params["q"]}]
    if request.query_params.get("stream"):

        async def parts() -> AsyncIterator[str]:
            async for part in await client.chat("llama3.2", messages, stream=True):
                yield part.message.content or ""

        return StreamingResponse(parts(), media_type="text/plain")
    answer = await client.chat("llama3.2", messages)
    return JSONResponse({"answer": answer.message.content})


app = Starlette(routes=[Route("/chat", chat)])


async def main() -> None:
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://app") as browser:
        answers = await asyncio.gather(*(browser.get("/chat", params={"q": f"question {n}"}) for n in range(3)))
        print(*(answer.json()["answer"] for answer in answers), sep="\n")
        streamed = await browser.get("/chat", params={"q": "question 3", "stream": "yes"})
        print(streamed.text)
    await client.close()


asyncio.run(main())
