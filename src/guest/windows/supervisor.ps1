# The program's parent, which waits for it. $d: the folder for what is told. Each file appears with its whole content.
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
try {
    $info = New-Object System.Diagnostics.ProcessStartInfo
    $info.FileName = [System.IO.File]::ReadAllText("$d\program")
    $info.Arguments = [System.IO.File]::ReadAllText("$d\arguments")
    [System.IO.File]::Delete("$d\arguments")
    $info.WorkingDirectory = $env:USERPROFILE
    $info.UseShellExecute = $false
    $info.RedirectStandardInput = $true
    $info.RedirectStandardOutput = $true
    $info.RedirectStandardError = $true
    # Without a buffer: what was said last is there when it ends.
    $out = New-Object System.IO.FileStream -ArgumentList "$d\out", 'Create', 'Write', 'Read', 1
    $err = New-Object System.IO.FileStream -ArgumentList "$d\err", 'Create', 'Write', 'Read', 1
    $process = [System.Diagnostics.Process]::Start($info)
    $process.StandardInput.Close()
    $copies = [System.Threading.Tasks.Task[]]@(
        $process.StandardOutput.BaseStream.CopyToAsync($out, 4096),
        $process.StandardError.BaseStream.CopyToAsync($err, 4096))
    [System.IO.File]::WriteAllText("$d\pid.new", [string]$process.Id)
    [System.IO.File]::Move("$d\pid.new", "$d\pid")
    while (-not $process.WaitForExit(1000)) { $null = $process }
    # What it has started may keep the pipes open.
    [void][System.Threading.Tasks.Task]::WaitAll($copies, 1000)
    $out.Flush()
    $err.Flush()
    [System.IO.File]::WriteAllText("$d\exit.new", [string]$process.ExitCode)
    [System.IO.File]::Move("$d\exit.new", "$d\exit")
    # It goes on to write there, and would fail if nobody read it any more.
    [System.Threading.Tasks.Task]::WaitAll($copies)
} catch {
    [System.IO.File]::WriteAllText("$d\failed", $_.Exception.GetBaseException().Message)
}
