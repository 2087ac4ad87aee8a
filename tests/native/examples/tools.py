from ollama import ChatResponse, chat


def add_two_numbers(a: int, b: int) -> int:
    """
    Add two numbers

    Args:
      a (int): The first number
      b (int): The second number

    Returns:
      int: The sum of the two numbers
    """
    return int(a) + int(b)


subtract_two_numbers_tool = {
    "type": "function",
    "function": {
        "name": "subtract_two_numbers",
        "description": "Subtract two numbers",
        "parameters": {
            "type": "object",
            "required": ["a", "b"],
            "properties": {
                "a": {"type": "integer", "description": "The first number"},
                "b": {"type": "integer", "description": "The second number"},
            },
        },
    },
}
available_functions = {"add_two_numbers": add_two_numbers, "subtract_two_numbers": lambda a, b: int(a) - int(b)}

messages: list[dict[str, object]] = [{"role": "user", "content": "What is add_two_numbers of three and one?"}]
response: ChatResponse = chat("llama3.2", messages=messages, tools=[add_two_numbers, subtract_two_numbers_tool])

for tool in response.message.tool_calls or []:
    function_to_call = available_functions[tool.function.name]
    print("Calling function:", tool.function.name)
    print("Arguments:", dict(tool.function.arguments))
    output = function_to_call(**tool.function.arguments)
    messages += [
        dict(response.message),
        {"role": "tool", "content": str(output), "tool_name": tool.function.name},
    ]

final_response = chat("llama3.2", messages=messages)
print("Final response:", final_response.message.content)
