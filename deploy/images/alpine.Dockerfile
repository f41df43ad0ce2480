# Any image of an alpine tag: Debian underneath, with Alpine's everyday commands handed to Debian's.
ARG FROM
FROM $FROM
COPY apk.sh /sbin/apk
COPY apk-names.conf /usr/local/share/
COPY alpine-user.sh /usr/local/sbin/adduser
COPY alpine-user.sh /usr/local/sbin/addgroup
