"""The governed paths: what is not here is not proxied."""

from django.urls import path

from gateway.proxy.view import ChatCompletions, Models

urlpatterns = [
    path("v1/chat/completions", ChatCompletions.as_view(), name="chat-completions"),
    path("v1/models", Models.as_view(), name="models"),
]
