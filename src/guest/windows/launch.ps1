# Starts a program and one who waits for it and tells of it by files in a folder: pid, exit, out, err. Prints the process id
# and the folder.
$file = mosdat_program $mosdat_file
$d = Join-Path $env:TEMP ('mosdat-app.' + [guid]::NewGuid().ToString('N').Substring(0, 8))
[void][System.IO.Directory]::CreateDirectory($d)
[System.IO.File]::WriteAllText("$d\program", $file)
[System.IO.File]::WriteAllText("$d\arguments", $mosdat_arguments)
$text = "`$d = '" + $d.Replace("'", "''") + "'`n$mosdat_supervisor"
$text = [Convert]::ToBase64String([System.Text.Encoding]::Unicode.GetBytes($text))
# A window of a program that is started by one without a window would only blink in the task bar.
try {
    Add-Type -Namespace Mosdat -Name Foreground -MemberDefinition '[DllImport("user32.dll")] public static extern bool SystemParametersInfo(uint what, uint number, IntPtr value, uint how);'
    # 0x2001: SPI_SETFOREGROUNDLOCKTIMEOUT.
    [void][Mosdat.Foreground]::SystemParametersInfo(0x2001, 0, [IntPtr]::Zero, 0)
} catch { $null = $_ }
# By the shell: it inherits no handle, so that nobody waits for its end to have this script's output.
Start-Process -FilePath 'powershell.exe' -WindowStyle Hidden -ArgumentList @(
    '-NoProfile', '-NonInteractive', '-ExecutionPolicy', 'Bypass', '-EncodedCommand', $text)
$clock = [System.Diagnostics.Stopwatch]::StartNew()
while (-not (Test-Path -LiteralPath "$d\pid")) {
    if (Test-Path -LiteralPath "$d\failed") { throw [System.IO.File]::ReadAllText("$d\failed") }
    if ($clock.ElapsedMilliseconds -gt 15000) { throw "whoever starts $file tells nothing" }
    Start-Sleep -Milliseconds 50
}
"$([System.IO.File]::ReadAllText("$d\pid")) $d"
exit 0
