"""Drives the lab with proxmoxer: a client that the lab's authors did not write.

Arguments: host:port, token id, file of the token's secret, file of root's password.
"""

import sys
import time

import urllib3
from proxmoxer import ProxmoxAPI, ResourceException

urllib3.disable_warnings()
DEADLINE = 150


def until(what, check):
    end = time.monotonic() + DEADLINE
    while True:
        value = check()
        if value:
            return value
        assert time.monotonic() < end, f"{what}: not after {DEADLINE} s"
        time.sleep(0.1)


def finished(node, upid):
    def ended():
        status = node.tasks(upid).status.get()
        return status if status["status"] == "stopped" else None

    status = until(upid, ended)
    assert status["exitstatus"] == "OK", status
    assert node.tasks(upid).log.get()[-1]["t"] == "TASK OK"


def answers(vm):
    try:
        vm.agent.ping.post()
        return True
    except ResourceException as e:
        assert "guest agent is not running" in str(e), e
        return False


def main(host, token_id, secret_file, password_file):
    user, name = token_id.split("!")
    secret = open(secret_file).read().strip()
    api = ProxmoxAPI(host, user=user, token_name=name, token_value=secret, verify_ssl=False, timeout=60)
    node = api.nodes(api.nodes.get()[0]["node"])
    newid = int(api.cluster.nextid.get())
    finished(node, node.qemu(9000).clone.post(newid=newid, name="by-proxmoxer", full=0))
    vm = node.qemu(newid)
    vm.config.put(cores=2, tags="a;b")
    assert vm.config.get()["tags"] == "a;b"
    finished(node, vm.status.start.post())
    assert vm.status.current.get()["status"] == "running"
    until("the agent", lambda: answers(vm))
    pid = vm.agent.exec.post(command=["/bin/sh", "-c", "echo 'a=b;c&d'; exit 4"])["pid"]

    def exited():
        status = vm.agent("exec-status").get(pid=pid)
        return status if status["exited"] else None

    status = until("the command", exited)
    assert (status["exitcode"], status["out-data"]) == (4, "a=b;c&d\n"), status
    vm.agent("file-write").post(file="/tmp/note", content="noted\n")
    assert vm.agent("file-read").get(file="/tmp/note")["content"] == "noted\n"
    try:
        vm.delete()
        raise AssertionError("a running machine was destroyed")
    except ResourceException as e:
        assert (e.status_code, "is running - destroy failed" in str(e)) == (500, True), e
    try:
        vm.config.put(cores="many", frobnicate=1)
        raise AssertionError("wrong parameters were taken")
    except ResourceException as e:
        assert e.status_code == 400 and set(e.errors) == {"cores", "frobnicate"}, e.errors
    finished(node, vm.status.stop.post())

    # The password's way: a ticket, its cookie, and the CSRF token that proxmoxer sends with it.
    password = open(password_file).read().strip()
    root = ProxmoxAPI(host, user="root@pam", password=password, verify_ssl=False, timeout=60)
    finished(node, root.nodes("lab").qemu(newid).delete(purge=1))
    assert newid not in [v["vmid"] for v in node.qemu.get()]
    print("OK")


main(*sys.argv[1:])
