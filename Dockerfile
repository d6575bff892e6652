# The two commands of README.md in an environment from the lock:
#     docker build -t pma-mfg .
#     docker run -v "$PWD/out:/home/pma/pma-mfg/results" pma-mfg            # make replicate
#     docker run pma-mfg make test
FROM python:3.11-slim-bookworm

# the versions are those of the image's own release
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends git make procps \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 pma \
    && install -d -o pma /home/pma/pma-mfg

USER 1000
WORKDIR /home/pma/pma-mfg
COPY --chown=pma:pma . .
RUN make environment

CMD ["make", "replicate"]
