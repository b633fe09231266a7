"""The product's settings under test: quick passwords, mail kept in memory, secrets that are none."""

import os

for name, value in {
    "SECRET_KEY": "tests-only-secret-key-that-is-long-enough-to-be-accepted",
    "TOLLKEEPER_KEY_PEPPER": "1:dGVzdHMgb25seTogcGVwcGVyIG9mIDMyIGJ5dGVzISE=",
    "TOLLKEEPER_WRAP_KEY": "dGVzdHMgb25seTogd3JhcHBpbmcga2V5LCAzMiBieXQ=",
    "TOLLKEEPER_FINGERPRINT_SECRET": "dGVzdHMgb25seTogZmluZ2VycHJpbnQgc2VjcmV0ISE=",
}.items():
    os.environ.setdefault(name, value)

from config.settings import *  # noqa: E402 -- the secrets come first

ALLOWED_HOSTS = ["testserver", "127.0.0.1", "localhost"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
