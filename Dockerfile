# The command in an image, for the pre-commit hook keyward-docker.
FROM golang:1.26-alpine AS build
WORKDIR /src
COPY . .
RUN GOWORK=off CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o /keyward .

FROM alpine:3.22
RUN apk add --no-cache git
COPY --from=build /keyward /usr/local/bin/keyward
USER 65534
ENTRYPOINT ["keyward"]
