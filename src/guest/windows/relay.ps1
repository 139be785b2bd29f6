# In the user's session: runs the script in the folder $d by another PowerShell, which is started by $start, and tells its
# outputs and its end by files there. `begun` it holds open until it ends itself. Kills the other one where nobody waits for it
# any more.
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
# Whoever waits holds the file open, and one that is gone is waited for by nobody.
function mosdat_alone {
    try {
        [System.IO.File]::Open("$d\lock", 'Open', 'ReadWrite', 'None').Close()
        $true
    } catch [System.IO.FileNotFoundException], [System.IO.DirectoryNotFoundException] {
        $true
    } catch {
        $false
    }
}
# Without a buffer: what is told must not be lost where it is killed.
function mosdat_file($name) {
    New-Object System.IO.FileStream -ArgumentList "$d\$name", 'Create', 'Write', 'Read', 1
}
$end = 'nothing'
$process = $null
$begun = $null
$alone = $false
try {
    $begun = [System.IO.File]::Open("$d\begun", 'Create', 'ReadWrite', 'Read')
    $info = New-Object System.Diagnostics.ProcessStartInfo -ArgumentList 'powershell.exe', $start
    $info.UseShellExecute = $false
    $info.CreateNoWindow = $true
    $info.RedirectStandardInput = $true
    $info.RedirectStandardOutput = $true
    $info.RedirectStandardError = $true
    $work = [System.IO.File]::ReadAllBytes("$d\in")
    # It may hold secrets.
    [System.IO.File]::Delete("$d\in")
    $out = mosdat_file 'out'
    $err = mosdat_file 'err'
    $alone = mosdat_alone
    if (-not $alone) {
        $process = [System.Diagnostics.Process]::Start($info)
        $copies = [System.Threading.Tasks.Task[]]@(
            $process.StandardOutput.BaseStream.CopyToAsync($out),
            $process.StandardError.BaseStream.CopyToAsync($err))
        # Not by its own writer, which may begin with a byte order mark.
        $process.StandardInput.BaseStream.Write($work, 0, $work.Length)
        $process.StandardInput.Close()
        while (-not $process.WaitForExit(100)) {
            $alone = mosdat_alone
            if ($alone) { break }
        }
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
    $alone = mosdat_alone
} finally {
    if ($alone) {
        if ($process) { $null = & taskkill.exe /T /F /PID $process.Id }
        if ($begun) { $begun.Close() }
        Remove-Item -LiteralPath $d -Recurse -Force -ErrorAction SilentlyContinue
    } else {
        [System.IO.File]::WriteAllText("$d\exit.new", $end)
        [System.IO.File]::Move("$d\exit.new", "$d\exit")
        if ($begun) { $begun.Close() }
    }
}
