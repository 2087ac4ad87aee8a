from ollama import chat
from pydantic import BaseModel


class FriendInfo(BaseModel):
    name: str
    age: int
    is_available: bool


class FriendList(BaseModel):
    friends: list[FriendInfo]


response = chat(
    model="llama3.2",
    messages=[{"role": "user", "content": "I have a friend. Return her in JSON."}],
    format=FriendList.model_json_schema(),
    options={"temperature": 0},
)

print(FriendList.model_validate_json(response.message.content or ""))
