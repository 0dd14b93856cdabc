# Signs up by HTTP and waits for the mail, with nothing but BusyBox (whose wget has -T in some builds only); the pod's deadline ends it.
# Takes: API, base of the api; DOMAIN, of the recipient; INBOX, base of the demo inbox or empty: then only the answer counts.
random() { od -An -N"$1" -tx1 /dev/urandom | tr -d ' \n'; }

# A new user each time: an answer that came too late may have made the one before. The password has 128 bytes, the most that are
# allowed, so that it is long enough whatever signup.passwordMinLength is.
sign_up() {
  email=helm$(random 6)@$DOMAIN
  timeout 5 wget -q -O /dev/null --header "Content-Type: application/json" "$API/v1/create_user" --post-data \
    "{\"username\":\"${email%@*}\",\"full_name\":\"Helm Test\",\"email\":\"$email\",\"password\":\"$(random 64)\"}"
}

until sign_up; do
  echo "the api at $API does not take the signup yet"
  sleep 1
done
echo "signed up"
[ -n "$INBOX" ] || exit 0
until timeout 5 wget -q -O - "$INBOX/messages.json" | grep -qF "$email"; do
  echo "no mail yet"
  sleep 1
done
echo "the mail arrived"
