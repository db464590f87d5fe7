"""The stand-in for Azure DevOps at an address that is not loopback, where the service requires TLS."""

import asyncio
import ssl

from azure_stub import AzureStub
from harness.process import run


class AzureWithTls(AzureStub):
    """`authority` is the file of the authority that the service has to trust."""

    def __init__(self, base, address):
        super().__init__()
        self.address, self.authority, self.key = address, base / "authority.pem", base / "authority.key"
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=azure",
            "-addext", "basicConstraints=critical,CA:FALSE", "-addext", f"subjectAltName=IP:{address}", "-keyout", self.key, "-out", self.authority)

    async def open(self):
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.authority, self.key)
        # The address may not exist yet.
        self.server = await asyncio.start_server(self._connected, "0.0.0.0", 0, backlog=1024, ssl=context)
        self.url = f"https://{self.address}:{self.server.sockets[0].getsockname()[1]}/exemplo"
