"""The pages that set spend against limits."""
