"""Every setting, from the environment: `X`, or `X_FILE` naming a file that holds it. Explained in docs/settings.md."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from csp.constants import NONCE, NONE, SELF
from django.utils.translation import gettext_lazy as _

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.FileAwareEnv()

# What this process is, where it is reached

TOLLKEEPER_ROLE = env("TOLLKEEPER_ROLE", default="all")
PORT = env.int("PORT", default=8000)
TOLLKEEPER_URL = env("TOLLKEEPER_URL", default=f"http://127.0.0.1:{PORT}").rstrip("/")
TOLLKEEPER_API_URL = (env("TOLLKEEPER_API_URL", default="") or TOLLKEEPER_URL).rstrip("/")
TOLLKEEPER_BIND = env("TOLLKEEPER_BIND", default="127.0.0.1")
TOLLKEEPER_TRUSTED_PROXIES = env.list("TOLLKEEPER_TRUSTED_PROXIES", default=[])
TOLLKEEPER_CONCURRENCY = env.int("TOLLKEEPER_CONCURRENCY", default=2000)
TOLLKEEPER_DRAIN_S = env.int("TOLLKEEPER_DRAIN_S", default=60)
TOLLKEEPER_API_REQUESTS_PER_MINUTE = env.int("TOLLKEEPER_API_REQUESTS_PER_MINUTE", default=600)
TOLLKEEPER_JOURNAL_DIR = Path(
    env("TOLLKEEPER_JOURNAL_DIR", default=str(BASE_DIR / "var" / "journal"))
)
TOLLKEEPER_EGRESS_ALLOW = env.list("TOLLKEEPER_EGRESS_ALLOW", default=[])
TOLLKEEPER_DATA = Path(env("TOLLKEEPER_DATA", default=str(BASE_DIR.parent / "shared" / "data")))
_is_https = TOLLKEEPER_URL.startswith("https://")
_host = urlsplit(TOLLKEEPER_URL).hostname or "localhost"

# Secrets: empty ones are refused where they are used, and by `check --deploy`

SECRET_KEY = env("SECRET_KEY", default="")
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
TOLLKEEPER_KEY_PEPPER = env("TOLLKEEPER_KEY_PEPPER", default="")
TOLLKEEPER_WRAP_KEY = env("TOLLKEEPER_WRAP_KEY", default="")  # opens credentials: gateways only
TOLLKEEPER_WRAP_PUBLIC_KEY = env("TOLLKEEPER_WRAP_PUBLIC_KEY", default="")  # seals them: everybody
TOLLKEEPER_FINGERPRINT_SECRET = env("TOLLKEEPER_FINGERPRINT_SECRET", default="")

# Core

DEBUG = False
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=[_host, "127.0.0.1", "localhost"])
INSTALLED_APPS = [
    "config",
    "gateway",
    "budgets",
    "attribution",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "csp",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "attribution.tenancy.access.OrganizationMiddleware",
]
ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "csp.context_processors.nonce",
            ],
        },
    },
]

# Databases: one alias per role. Without roles of their own, all are the application's (one-role deployment).

TOLLKEEPER_DATABASE_POOL = env.int("TOLLKEEPER_DATABASE_POOL", default=0)
DATABASE_URL = env("DATABASE_URL", default="postgresql:///tollkeeper")
GATEWAY_DATABASE_URL = env("GATEWAY_DATABASE_URL", default=DATABASE_URL)  # for the gateway's bridge


def _database(setting: str, *, pool: int = 0) -> dict[str, Any]:
    database: dict[str, Any] = env.db_url(setting, default=DATABASE_URL)
    database["ENGINE"] = "attribution.isolation.postgresql"
    database["DISABLE_SERVER_SIDE_CURSORS"] = env.bool("DISABLE_SERVER_SIDE_CURSORS", default=False)
    database["CONN_MAX_AGE"] = 0 if pool else 60  # a pool keeps the connections itself
    database["CONN_HEALTH_CHECKS"] = not pool
    if pool:
        database["OPTIONS"] = database.get("OPTIONS", {}) | {
            "pool": {"min_size": 1, "max_size": pool, "timeout": 5}
        }
    return database


DATABASES = {
    "default": _database("DATABASE_URL", pool=TOLLKEEPER_DATABASE_POOL),
    "owner": _database("OWNER_DATABASE_URL"),  # migrations
    "platform": _database("PLATFORM_DATABASE_URL"),  # commands named in docs/operating.md
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Redis or Valkey: broker, caches, live stream; never the authority for money

REDIS_URL = env("REDIS_URL", default="redis://127.0.0.1:6379/0")
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL},
    "process": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},  # while Valkey is away
}

# E-mail

vars().update(env.email_url("EMAIL_URL", default="consolemail://"))
DEFAULT_FROM_EMAIL = env("DEFAULT_FROM_EMAIL", default="") or f"Tollkeeper <tollkeeper@{_host}>"
SERVER_EMAIL = DEFAULT_FROM_EMAIL

# Errors and logs

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "config.logs.JsonFormatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["stderr"], "level": env("LOG_LEVEL", default="WARNING")},
    "loggers": {"django.request": {"level": "ERROR"}},  # a missing page is the visitor's affair
}

# Languages, time, numbers

LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English")), ("fr", _("French")), ("zh-hans", _("Simplified Chinese"))]
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = "UTC"
USE_TZ = True

# Static files: collected and hashed in the image, straight from the source tree in the demo

STATIC_URL = "static/"
STATIC_ROOT = env("TOLLKEEPER_STATIC_ROOT", default=None)
STATICFILES_DIRS = [BASE_DIR / "static"]
_is_collected = bool(STATIC_ROOT) and (Path(STATIC_ROOT) / "staticfiles.json").exists()
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if _is_collected
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
WHITENOISE_USE_FINDERS = not _is_collected

# People: sessions, sign-in

AUTH_USER_MODEL = "attribution.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "attribution:sign-in"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = LOGIN_URL
# Browsers take a `__Host-` cookie only with Secure, so a local instance over HTTP uses the plain names.
SESSION_COOKIE_NAME = "__Host-session" if _is_https else "session"
SESSION_COOKIE_SECURE = _is_https
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_NAME = "__Host-csrf" if _is_https else "csrf"
CSRF_COOKIE_SECURE = _is_https
CSRF_COOKIE_HTTPONLY = True
CSRF_TRUSTED_ORIGINS = [TOLLKEEPER_URL] if _is_https else []

# Transport and content security

SECURE_SSL_REDIRECT = _is_https
SECURE_REDIRECT_EXEMPT = [r"^health(/|$)", r"^metrics$"]  # asked from inside, past the proxy
SECURE_HSTS_SECONDS = 31_536_000 if _is_https else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = _is_https
SECURE_HSTS_PRELOAD = _is_https
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF, NONCE],
        "style-src": [SELF, NONCE],
        "img-src": [SELF, "data:"],
        "connect-src": [SELF],
        "object-src": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}

# What pages of lower packages show and only an upper one knows: named here, imported by nobody below

UPSTREAM_NAMES = "gateway.upstreams.names.by_id"
KEYS_OF_PERSON = "gateway.keys.lineages.of_person"

# JSON API

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "gateway.keys.authentication.KeyAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Tollkeeper",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "POSTPROCESSING_HOOKS": ["config.openapi.add_components"],
    "APPEND_COMPONENTS": {"securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}},
    "SECURITY": [{"key": []}],
    "ENABLE_DJANGO_DEPLOY_CHECK": False,  # the published description has its own, stricter check
}

# Background work: Celery only pokes, PostgreSQL knows what is to do

CELERY_BROKER_URL = REDIS_URL.replace("unix://", "redis+socket://", 1)
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 3600}  # longer than any task
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # never give up: the broker may be away for hours
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_WORKER_REDIRECT_STDOUTS = (
    False  # what is written to the terminal, mail in the demo, stays readable
)
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_TIME_LIMIT = 1800
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = TIME_ZONE
