"""Where messages go beside people's own mail: shared mailboxes, chats, programs."""
