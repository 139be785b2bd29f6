# In the user's session: runs the script in the folder $d by another PowerShell, which is started by $start, and tells its
# outputs and its end by files there. Kills it where nobody waits for it any more.
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
$end = 'nothing'
$process = $null
$alone = $false
try {
    $info = New-Object System.Diagnostics.ProcessStartInfo -ArgumentList 'powershell.exe', $start
    $info.UseShellExecute = $false
    $info.CreateNoWindow = $true
    $info.RedirectStandardInput = $true
    $info.RedirectStandardOutput = $true
    $info.RedirectStandardError = $true
    $work = [System.IO.File]::ReadAllBytes("$d\in")
    # It may hold secrets.
    [System.IO.File]::Delete("$d\in")
    $out = [System.IO.File]::Open("$d\out", 'Create', 'Write', 'Read')
    $err = [System.IO.File]::Open("$d\err", 'Create', 'Write', 'Read')
    $process = [System.Diagnostics.Process]::Start($info)
    $copies = [System.Threading.Tasks.Task[]]@(
        $process.StandardOutput.BaseStream.CopyToAsync($out),
        $process.StandardError.BaseStream.CopyToAsync($err))
    # Not by its own writer, which may begin with a byte order mark.
    $process.StandardInput.BaseStream.Write($work, 0, $work.Length)
    $process.StandardInput.Close()
    while (-not $process.WaitForExit(100)) {
        try {
            [System.IO.File]::Open("$d\lock", 'Open', 'ReadWrite', 'None').Close()
            $alone = $true
            break
        } catch { $null = $_ }
    }
    if (-not $alone) {
        # What it has started may keep the pipes open.
        [void][System.Threading.Tasks.Task]::WaitAll($copies, 1000)
        $end = [string]$process.ExitCode
    }
    $out.Close()
    $err.Close()
} catch {
    $end = $_.Exception.Message
} finally {
    if ($alone) {
        $null = & taskkill.exe /T /F /PID $process.Id
        Remove-Item -LiteralPath $d -Recurse -Force -ErrorAction SilentlyContinue
    } else {
        [System.IO.File]::WriteAllText("$d\exit.new", $end)
        [System.IO.File]::Move("$d\exit.new", "$d\exit")
    }
}
