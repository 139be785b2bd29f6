# The controller's image: one binary and the OCR models, non-root.
#
#   docker build -t mosdat:0.1.0 .
#   buildah bud --build-arg BASE=localhost/debian --build-arg BUILD_BASE=localhost/rust -t mosdat:0.1.0 .
#
# BUILD_BASE needs Debian, cc and Rust as Cargo.toml's rust-version says; BASE any Debian of the same release.
# ffmpeg makes the videos of runs that ask for one.
# The lab is not in this image: a cluster has a Proxmox VE to talk to.
ARG BASE=debian:bookworm-slim
ARG BUILD_BASE=rust:1.95-bookworm

FROM ${BUILD_BASE} AS build
WORKDIR /src
RUN apt-get update -q && apt-get install -y -q --no-install-recommends python3 python3-pip ca-certificates \
    && rm -rf /var/lib/apt/lists/*
# The models change seldom, so their layer comes before the sources.
COPY tools/fetch-models.sh tools/
RUN tools/fetch-models.sh /models
COPY Cargo.toml Cargo.lock ./
# Cargo.toml names the bench; without its file Cargo refuses the manifest.
COPY benches benches
COPY src src
RUN cargo build --release --locked --bin mosdat && cp target/release/mosdat /mosdat && rm -rf target

FROM ${BASE}
RUN apt-get update -q && apt-get install -y -q --no-install-recommends ca-certificates ffmpeg \
    && rm -rf /var/lib/apt/lists/* \
    && mkdir -p /var/lib/mosdat && chown 65532:65532 /var/lib/mosdat
COPY --from=build /mosdat /usr/local/bin/mosdat
COPY --from=build /models /usr/local/share/mosdat/models
ENV MOSDAT_MODELS=/usr/local/share/mosdat/models HOME=/var/lib/mosdat
USER 65532:65532
WORKDIR /var/lib/mosdat
EXPOSE 8080
ENTRYPOINT ["/usr/local/bin/mosdat"]
CMD ["controller", "--listen=0.0.0.0:8080", "--artifacts=/var/lib/mosdat/artifacts"]
