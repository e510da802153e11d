"""The gateway under test, and events for it."""

import asyncio
import json
import urllib.parse
import urllib.request
import uuid


class Gateway:
    """A gateway to which nobody else delivers."""

    def __init__(self, url, token, hook, secret):
        self.url, self.token, self.hook, self.secret = url, token, hook, secret
        self.address = urllib.parse.urlsplit(url).netloc
        self.head = 0

    async def deliver(self):
        """Stores one more event, and gives its position."""
        await asyncio.to_thread(self._deliver)
        self.head += 1
        return str(self.head)

    def _deliver(self):
        delivery = {"eventType": "com.okta.event_hook", "eventId": str(uuid.uuid4()), "data": {"events": [event()]}}
        request = urllib.request.Request(self.hook, json.dumps(delivery).encode(), {"authorization": self.secret})
        with urllib.request.urlopen(request, timeout=60) as answer:
            receipt = json.load(answer)
        assert receipt["stored"] == 1, receipt


def event():
    """Gives a sync of a user in the instance whose events the clients want."""
    return {
        "uuid": str(uuid.uuid4()),
        "published": "2026-03-04T05:06:07.890Z",
        "eventType": "application.provision.user.sync",
        "displayMessage": "Sync user in external application",
        "outcome": {"result": "SUCCESS"},
        "target": [
            {"id": "0oalisted", "type": "AppInstance", "alternateId": "Listed", "displayName": "Microsoft Office 365"},
            # A name with a letter of two bytes, so that a length that counts characters is a wrong one.
            {"id": "00ugrace", "type": "User", "alternateId": "zoë@acme.example", "displayName": "Zoë User"},
        ],
        "debugContext": {"debugData": {"appname": "office365"}},
    }
