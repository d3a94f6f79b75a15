# The operator's image and nothing else: one static binary and the public certificate authorities.
#
# There is no builder stage, so that no base image and no registry is needed: `make image` (dev/images lifeboat) compiles the binary
# for x86_64-unknown-linux-musl and lays out the build context
#   lifeboat              the static binary
#   ca-certificates.crt   the CA bundle of the machine that builds
# and any builder (buildah, docker, podman) takes it from there.
FROM scratch

LABEL org.opencontainers.image.title="lifeboat" \
      org.opencontainers.image.description="A Kubernetes operator that makes PostgreSQL backups proven" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.vendor="The Lifeboat authors"

COPY ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY lifeboat /lifeboat

# No name for this uid is needed: a pod may give any other, and where PostgreSQL's tools want one, Lifeboat writes it.
USER 65532:65532
ENTRYPOINT ["/lifeboat"]
