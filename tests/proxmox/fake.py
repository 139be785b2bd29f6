"""Serves fakepve for the tests; each line on stdin is Python with `pve` in scope, its result goes out as one JSON line."""

import asyncio
import json
import sys

from fakepve import FakePve
from fakepve.model import FakeVm

CERT, KEY = sys.argv[1], sys.argv[2]


async def main():
    # Clones of a template with the agent on have an agent that answers as soon as they run.
    pristine = FakeVm.__init__

    def init(self, *args, **kwargs):
        pristine(self, *args, **kwargs)
        self.agent = {}
    FakeVm.__init__ = init

    # Requests whose answer gets lost after they were carried out: (method, end of the path), once each.
    pristine_answer = FakePve._answer

    async def answer(self, request, *args):
        response = await pristine_answer(self, request, *args)
        for lost in list(self.lost):
            if request.method == lost[0] and request.path.endswith(lost[1]):
                self.lost.remove(lost)
                request.transport.close()
                raise ConnectionResetError('the test loses this answer')
        return response
    FakePve._answer = answer

    pve = FakePve(user='root@pam', password='secret', host='127.0.0.1', port=0)
    pve.time_scale = 0.02
    pve.lost = []
    pve.apitokens['mosdat@pve!test'] = '00000000-0000-0000-0000-000000000001'
    vm = pve.add_vm(100, 'desktop', template=True, config={
        'cores': 2, 'memory': '2048', 'agent': '1', 'vga': 'std', 'template': 1,
        'net0': 'virtio=BC:24:11:00:00:FF,bridge=vmbr0'})
    await pve.start(CERT, KEY)
    print(json.dumps(pve.port), flush=True)

    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    scope = {'pve': pve, 'json': json, 'asyncio': asyncio, 'template': vm}
    while line := await reader.readline():
        text = json.loads(line)
        try:
            try:
                value = eval(text, scope)
            except SyntaxError:
                value = exec(text, scope)
            print(json.dumps({'ok': value}), flush=True)
        except Exception as e:  # the test wants to see it
            print(json.dumps({'error': repr(e)}), flush=True)

asyncio.run(main())
