"""Django's settings, in the order of Django's own documentation; all knobs are ``SENTINEL_*``."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from sentinel_project import broker, env

BASE_DIR = Path(__file__).resolve().parent.parent
RUN_DIR = env.directory("SENTINEL_RUN_DIR", BASE_DIR / "run")

# Core
DEBUG = env.flag("SENTINEL_DEBUG")
SECRET_KEY = env.secret("SENTINEL_SECRET_KEY", RUN_DIR / "secret_key")
SECRET_KEY_FALLBACKS = env.words("SENTINEL_SECRET_KEY_FALLBACKS")
ALLOWED_HOSTS = env.words("SENTINEL_ALLOWED_HOSTS", ("localhost", "127.0.0.1", "[::1]"))
CSRF_TRUSTED_ORIGINS = env.words("SENTINEL_TRUSTED_ORIGINS")
USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = False
ROOT_URLCONF = "sentinel_project.urls"
WSGI_APPLICATION = "sentinel_project.wsgi.application"
APPEND_SLASH = False
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
# The admin's page of a job has a dozen fields for each expression and dependency.
DATA_UPLOAD_MAX_NUMBER_FIELDS = 2000

INSTALLED_APPS = [
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_celery_beat",
    "sentinel_project.apps.SentinelConfig",
    "jobs.apps.JobsConfig",
    "tasks_app.apps.TasksConfig",
    "logs_app.apps.LogsConfig",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "sentinel_project" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# Database: the only truth
DATABASES = {"default": env.database("SENTINEL_DATABASE_URL", RUN_DIR / "sentinel.sqlite3")}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Auth, sessions, security
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
_HTTPS = env.flag("SENTINEL_HTTPS")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _HTTPS
SESSION_COOKIE_HTTPONLY = True
LOGIN_REDIRECT_URL = "/admin/"
SECURE_CONTENT_TYPE_NOSNIFF = True
if env.flag("SENTINEL_BEHIND_PROXY"):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

# Mail
MAIL = env.mail("SENTINEL_MAIL_URL")
EMAIL_HOST = MAIL["host"]
EMAIL_PORT = MAIL["port"]
EMAIL_HOST_USER = MAIL["user"]
EMAIL_HOST_PASSWORD = MAIL["password"]
EMAIL_USE_TLS = MAIL["tls"]
EMAIL_USE_SSL = MAIL["ssl"]
EMAIL_TIMEOUT = 10

# Static files
STATIC_URL = "static/"
STATIC_ROOT = RUN_DIR / "static"
WHITENOISE_USE_FINDERS = True

# Logging
LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "sentinel_project.logformat.JsonFormatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["stderr"], "level": env.text("SENTINEL_LOG_LEVEL", "INFO")},
    "loggers": {
        "django.server": {"handlers": ["stderr"], "level": "WARNING", "propagate": False},
        # A line per message says nothing that our own lines do not.
        "celery.app.trace": {"level": "WARNING"},
        "celery.worker.strategy": {"level": "WARNING"},
        # It names whole addresses, and those of callbacks and http jobs hold tokens.
        "httpx": {"level": "WARNING"},
    },
}

# The admin site's theme
UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Sentinel",
    "SITE_HEADER": "Sentinel",
    "SITE_SYMBOL": "account_tree",
    "SITE_URL": None,
    "SHOW_VIEW_ON_SITE": False,
    "DASHBOARD_CALLBACK": "sentinel_project.dashboard.dashboard",
    "SIDEBAR": {
        "show_search": False,
        "navigation": "sentinel_project.dashboard.sidebar",
    },
}

# REST framework
REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["jobs.authentication.TokenAuthentication"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PERMISSION_CLASSES": [],
    "EXCEPTION_HANDLER": "sentinel_project.wire.envelope.exception_handler",
    "UNAUTHENTICATED_USER": None,
    "UNAUTHENTICATED_TOKEN": None,
}

# The API's documentation: no request leaves for another host
SPECTACULAR_SETTINGS: dict[str, Any] = {
    "OAS_VERSION": "3.1.0",
    "TITLE": "Sentinel",
    "VERSION": "1",
    "DESCRIPTION": (BASE_DIR / "sentinel_project" / "wire" / "openapi.md").read_text(),
    "POSTPROCESSING_HOOKS": [],
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SWAGGER_UI_SETTINGS": {
        "deepLinking": True,
        "defaultModelsExpandDepth": 0,
        "validatorUrl": None,
    },
}

# Celery: the errand boy. Read by sentinel_project.celery under the prefix CELERY_.
# A namespace for queue names, so that several installations can share one broker.
BROKER_PREFIX = env.text("SENTINEL_BROKER_PREFIX", "sentinel")
BROKER_IS_EMBEDDED = not env.text("SENTINEL_BROKER_URL")
CELERY_BROKER_URL = env.broker("SENTINEL_BROKER_URL", RUN_DIR)
CELERY_BROKER_TRANSPORT_OPTIONS = broker.transport_options(CELERY_BROKER_URL, BROKER_PREFIX)
CELERY_BROKER_CONNECTION_TIMEOUT = broker.DEADLINE
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # a worker waits for its broker for ever
CELERY_BROKER_HEARTBEAT = 20
CELERY_ENABLE_UTC = True
CELERY_TIMEZONE = "UTC"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_SERIALIZER = "json"
CELERY_RESULT_BACKEND = None
CELERY_RESULT_EXPIRES = None
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = False
CELERY_TASK_DEFAULT_QUEUE = broker.queue_name(BROKER_PREFIX, 1)
CELERY_TASK_QUEUE_MAX_PRIORITY = broker.MAX_PRIORITY
CELERY_TASK_PUBLISH_RETRY_POLICY = {
    "max_retries": 1,
    "interval_start": 0,
    "interval_step": 0.1,
    "interval_max": 0.1,
}
CELERY_TASK_SEND_SENT_EVENT = True
CELERY_WORKER_SEND_TASK_EVENTS = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_CONCURRENCY = env.number("SENTINEL_WORKER_CONCURRENCY", 4)
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_REDIRECT_STDOUTS = False
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
CELERY_CONTROL_EXCHANGE = f"{BROKER_PREFIX}.control"
CELERY_EVENT_EXCHANGE = f"{BROKER_PREFIX}.events"
CELERY_EVENT_QUEUE_PREFIX = f"{BROKER_PREFIX}.events"
CELERY_BEAT_SCHEDULER = "sentinel_project.beat:Scheduler"
CELERY_BEAT_SYNC_EVERY = 1  # another beat may take over at any moment

#: Housekeeping's queue; every worker serves it.
CELERY_TASK_DEFAULT_QUEUE = f"{BROKER_PREFIX}.control"

# Sentinel
SENTINEL_TIME_ZONE = env.text("SENTINEL_TIME_ZONE", "Asia/Shanghai")
SENTINEL_MISFIRE_GRACE = timedelta(seconds=env.number("SENTINEL_MISFIRE_GRACE", 60))
SENTINEL_TOKEN_WINDOW = timedelta(seconds=env.number("SENTINEL_TOKEN_WINDOW", 180))
SENTINEL_LEASE = timedelta(seconds=env.number("SENTINEL_LEASE", 30))
SENTINEL_HEARTBEAT = timedelta(seconds=env.number("SENTINEL_HEARTBEAT", 5))
# Whether callbacks and webhooks may go to private addresses, for installations that live there.
SENTINEL_CALLBACK_ALLOW_PRIVATE = env.flag("SENTINEL_CALLBACK_ALLOW_PRIVATE")
SENTINEL_MAIL_FROM = env.text("SENTINEL_MAIL_FROM", "sentinel@localhost")
SENTINEL_STREAM_CAP = env.number("SENTINEL_STREAM_CAP", 64 * 1024 * 1024)
# What runs may use, by job type and group, as tasks_app.rules.limits reads it.
SENTINEL_LIMITS = env.text("SENTINEL_LIMITS")
# For how many days output, and ended runs, are kept, as tasks_app.rules.retention reads it; unset:
# for ever.
SENTINEL_KEEP_OUTPUT = env.text("SENTINEL_KEEP_OUTPUT")
SENTINEL_KEEP_TASKS = env.text("SENTINEL_KEEP_TASKS")
# An uploaded file at most, and all those of an app together, in bytes.
SENTINEL_ARTIFACT_MAX = env.number("SENTINEL_ARTIFACT_MAX", 64 * 1024 * 1024)
SENTINEL_ARTIFACT_QUOTA = env.number("SENTINEL_ARTIFACT_QUOTA", 1024 * 1024 * 1024)
# What a worker keeps of them as files, in bytes.
SENTINEL_ARTIFACT_CACHE = env.number("SENTINEL_ARTIFACT_CACHE", 4 * 1024 * 1024 * 1024)
SENTINEL_WORK_DIR = env.directory("SENTINEL_WORK_DIR", RUN_DIR / "work")
SENTINEL_WORKER_GROUPS = [int(group) for group in env.words("SENTINEL_WORKER_GROUPS", ("1",))]
# Who may read /metrics: addresses or networks, and whoever holds the token if there is one.
SENTINEL_METRICS_ALLOW = env.words("SENTINEL_METRICS_ALLOW", ("127.0.0.1", "::1"))
SENTINEL_METRICS_TOKEN = env.text("SENTINEL_METRICS_TOKEN")
# How long a client may take to send a request, and to take each MiB of an answer.
SENTINEL_REQUEST_SECONDS = env.number("SENTINEL_REQUEST_SECONDS", 30)
# Who follows a log occupies a thread of the web process: so many at once in each process.
SENTINEL_MAX_TAILS = env.number("SENTINEL_MAX_TAILS", 4)
# Whom to tell what is wrong with the installation itself, and what signs those posts.
SENTINEL_ALARM_MAILS = env.words("SENTINEL_ALARM_MAILS")
SENTINEL_ALARM_WEBHOOKS = env.words("SENTINEL_ALARM_WEBHOOKS")
SENTINEL_ALARM_KEY = env.text("SENTINEL_ALARM_KEY")
SENTINEL_ALLOW_ROOT = env.flag("SENTINEL_ALLOW_ROOT")
# How long a stopping worker lets its runs go on before it hands them back.
SENTINEL_DRAIN = timedelta(seconds=env.number("SENTINEL_DRAIN", 30))
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = SENTINEL_DRAIN.total_seconds()
