"""The recorded cases that the gateway does not relay, one by one, each with its reason."""

BEDROCK = "Bedrock's own formats, signed by AWS, are not offered."
COHERE = "Cohere's own format is not offered."
FILES = "Files and vector stores are no calls: a path that is not governed is not proxied."

NOT_OFFERED: dict[str, str] = {
    "bedrock-converse-http-403": BEDROCK,
    "bedrock-invoke-http-400": BEDROCK,
    "bedrock-invoke-http-403": BEDROCK,
    "bedrock_converse-anthropic.claude-3-haiku-20240307-v1-plain": BEDROCK,
    "bedrock_converse-us.amazon.nova-lite-v1-3a0-cache_read": BEDROCK,
    "bedrock_converse-us.anthropic.claude-3-7-sonnet-20250219-v1-3a0-cache_": BEDROCK,
    "bedrock_converse-us.anthropic.claude-3-7-sonnet-20250219-v1-3a0-cache_-2": BEDROCK,
    "bedrock_converse-us.anthropic.claude-haiku-4-5-20251001-v1-cache_read": BEDROCK,
    "bedrock_converse-us.anthropic.claude-sonnet-4-6-plain": BEDROCK,
    "bedrock_converse_stream-amazon.titan-text-lite-v1-plain": BEDROCK,
    "bedrock_converse_stream-us.amazon.nova-2-lite-v1-plain": BEDROCK,
    "bedrock_invoke-amazon.nova-lite-v1-3a0-plain": BEDROCK,
    "bedrock_invoke-amazon.nova-micro-v1-3a0-plain": BEDROCK,
    "bedrock_invoke-anthropic.claude-3-5-haiku-20241022-v1-3a0-cache_read": BEDROCK,
    "bedrock_invoke-anthropic.claude-3-5-sonnet-20241022-v2-0-cache_read-ca": BEDROCK,
    "cohere-chat-http-400": COHERE,
    "cohere-chat-http-401": COHERE,
    "cohere-chat-http-404": COHERE,
    "cohere_chat-command-plain": COHERE,
    "cohere_chat-command-r-08-2024-plain": COHERE,
    "cohere_chat_stream-command-a-03-2025-plain": COHERE,
    "cohere_chat_stream-command-r-plain": COHERE,
    "openai-other-http-500": FILES,
}

# refused before anything is sent: the code that the client gets, and why
REFUSED: dict[str, tuple[str, str]] = {
    "openai_responses-responses-reasoning": (
        "invalid_request",
        "It names no model: that stands in a prompt which the provider keeps.",
    ),
    "anthropic-messages-http-400-2": (
        "invalid_request",
        "A message that is no object is refused here, as the provider would.",
    ),
}
