# The one image: worker, producer, Flower, commands. It holds no configuration and no
# password: docker-compose.yml gives both.
FROM python:3.13-slim AS built
WORKDIR /src
COPY pyproject.toml README.md LICENCE ./
COPY producer producer
COPY workers workers
COPY shared shared
COPY quantify_sync quantify_sync
COPY dashboard dashboard
RUN python -m venv /opt/quantify-sync \
    && /opt/quantify-sync/bin/pip install --no-cache-dir ".[local]"

FROM python:3.13-slim
COPY --from=built /opt/quantify-sync /opt/quantify-sync
ENV PATH=/opt/quantify-sync/bin:$PATH PYTHONUNBUFFERED=1
# Its number is the same on every machine, for the rights on shared drives.
# New volumes take over the owner of the folders that they are mounted on.
RUN groupadd --gid 10001 quantify-sync \
    && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin quantify-sync \
    && install -d -o 10001 -g 10001 /srv/quantify /var/lib/quantify-sync
USER 10001:10001
WORKDIR /var/lib/quantify-sync
ENTRYPOINT []
CMD ["quantify-sync", "--help"]
