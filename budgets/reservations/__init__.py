"""Reserve, settle, release, expire: the only writers of spent, held and uncertain."""
