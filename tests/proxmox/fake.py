"""Serves fakepve for the tests; each line on stdin is Python with `pve` in scope, its result goes out as one JSON line."""

import asyncio
import json
import sys
import time
import urllib.parse

from aiohttp import web
from fakepve import FakePve
from fakepve.model import FakeVm, TaskError

CERT, KEY = sys.argv[1], sys.argv[2]


async def main():
    # Clones have an agent that answers as soon as they run, those made while `silent` none that ever does.
    pristine = FakeVm.__init__

    def init(self, *args, **kwargs):
        pristine(self, *args, **kwargs)
        self.agent = None if FakeVm.silent else {'files': FakeVm.files}
    FakeVm.__init__ = init
    FakeVm.silent = False
    # What stands in every guest's files.
    FakeVm.files = {}

    # Requests whose answer gets lost after they were carried out: (method, end of the path), once each.
    pristine_answer = FakePve._answer

    async def answer(self, request, *args):
        for slow in list(self.slow):
            if request.method == slow[0] and request.path.endswith(slow[1]):
                self.slow.remove(slow)
                await asyncio.sleep(slow[2])
        response = await pristine_answer(self, request, *args)
        if request.method == 'GET' and request.path.endswith('/cluster/mapping/pci') and response.status == 200:
            # fakepve does not model mappings. On which nodes these are is left open.
            response = web.json_response({'data': [{'id': m, 'map': []} for m in self.mappings]})
        if self.hidden and response.status == 500 and b'does not exist' in response.body and '/qemu/' in request.path:
            # Proxmox checks the permission before it looks: rights that come through a pool do not reach a VMID that
            # nobody has. fakepve looks first.
            vmid = request.path.split('/qemu/')[1].split('/')[0]
            text = 'Permission check failed (/vms/%s, VM.Audit)' % vmid
            response = web.json_response({'data': None, 'message': text + '\n'}, status=403, reason=text)
        for lost in list(self.lost):
            if request.method == lost[0] and request.path.endswith(lost[1]):
                self.lost.remove(lost)
                request.transport.close()
                raise ConnectionResetError('the test loses this answer')
        return response
    FakePve._answer = answer
    # `slow`: requests that are begun so many seconds late: (method, end of the path, seconds), once each.

    # As in Proxmox a ticket that is still good is taken as the password of the next one. `logins` says what was.
    pristine_check = FakePve.check_password

    def check_password(self, user, password):
        session = self.tickets.get(password)
        ticket = session is not None and session['user'] == user and session['expires'] >= time.time()
        good = ticket or pristine_check(self, user, password)
        self.logins.append('ticket' if ticket else 'password' if good else 'wrong')
        return good
    FakePve.check_password = check_password

    # DELETE of a running task interrupts it.
    pristine_task = FakePve.task

    async def task(self, node, ttype, tid, user, body, **more):
        box = {}

        async def interruptible():
            box['work'] = asyncio.ensure_future(body())
            try:
                return await box['work']
            except asyncio.CancelledError:
                raise TaskError('received interrupt') from None
        upid = await pristine_task(self, node, ttype, tid, user, interruptible, **more)
        self.works[upid] = box
        return upid
    FakePve.task = task
    pristine_generic = FakePve._generic

    async def generic(self, request):
        response = await pristine_generic(self, request)
        upid = urllib.parse.unquote(request.path.rsplit('/', 1)[-1])
        if request.method == 'DELETE' and upid in self.works:
            self.works[upid]['work'].cancel()
        return response
    FakePve._generic = generic

    # With `shows_pending`, GET config has pending changes in it unless `current` is given, as Proxmox has it.
    pristine_config = FakePve._config_get

    async def config_get(self, request):
        response = await pristine_config(self, request)
        if not self.shows_pending or request.query.get('current') == '1':
            return response
        body = json.loads(response.text)
        for key, value in self.vm(int(request.match_info['vmid'])).pending.items():
            if value is None:
                body['data'].pop(key, None)
            else:
                body['data'][key] = value
        return web.json_response(body)
    FakePve._config_get = config_get

    pve = FakePve(user='root@pam', password='secret', host='127.0.0.1', port=0)
    pve.time_scale = 0.02
    pve.lost = []
    pve.hidden = False
    pve.mappings = ['gpu0', 'gpu1']
    pve.slow = []
    pve.logins = []
    pve.works = {}
    pve.shows_pending = False
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
