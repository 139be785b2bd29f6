# Runs the script $mosdat_work as $mosdat_user in that user's session on the desktop: mosdat's own commands run in session 0,
# where there is none. A task of the Task Scheduler is the way into a session that needs no password. Script, output and
# exit code go by files in a folder that only the system and this user may look into.
function mosdat_stop($words) {
    $mosdat_err.WriteLine("mosdat-bootstrap: $words")
    exit 127
}
# What goes wrong here is no end of the command.
trap { mosdat_stop ('broken Task-Scheduler ' + ($_.Exception.Message -replace '\s+', ' ')) }
$mosdat_me = [System.Security.Principal.WindowsIdentity]::GetCurrent()
if ($mosdat_user -eq $mosdat_me.Name -or $mosdat_user -eq ($mosdat_me.Name -split '\\')[-1]) {
    if ($mosdat_me.IsSystem -or [System.Diagnostics.Process]::GetCurrentProcess().SessionId -ne 0) {
        & ([ScriptBlock]::Create([regex]::Unescape($mosdat_work)))
    }
}
try {
    $mosdat_account = New-Object System.Security.Principal.NTAccount -ArgumentList $mosdat_user
    $mosdat_sid = $mosdat_account.Translate([System.Security.Principal.SecurityIdentifier]).Value
} catch { mosdat_stop 'user' }
$mosdat_there = $false
foreach ($mosdat_shell in @(Get-CimInstance Win32_Process -Filter "Name = 'explorer.exe'")) {
    $mosdat_owner = Invoke-CimMethod -InputObject $mosdat_shell -MethodName GetOwnerSid
    if ($mosdat_owner.Sid -eq $mosdat_sid -and $mosdat_shell.SessionId -ne 0) { $mosdat_there = $true }
}
if (-not $mosdat_there) { mosdat_stop 'session' }

$mosdat_root = Join-Path $env:ProgramData 'mosdat'
# What a script has left that was killed: its folder is removed by the one who runs in the session.
foreach ($mosdat_old in @(Get-ScheduledTask -TaskPath '\mosdat\' -ErrorAction SilentlyContinue)) {
    if (-not (Test-Path -LiteralPath (Join-Path $mosdat_root $mosdat_old.TaskName))) {
        $mosdat_old | Unregister-ScheduledTask -Confirm:$false -ErrorAction SilentlyContinue
    }
}
$mosdat_name = [guid]::NewGuid().ToString('N')
$mosdat_dir = Join-Path $mosdat_root $mosdat_name
$mosdat_rights = New-Object System.Security.AccessControl.DirectorySecurity
$mosdat_rights.SetAccessRuleProtection($true, $false)
foreach ($mosdat_who in 'S-1-5-18', 'S-1-5-32-544', $mosdat_sid) {
    $mosdat_rule = New-Object System.Security.AccessControl.FileSystemAccessRule -ArgumentList @(
        (New-Object System.Security.Principal.SecurityIdentifier -ArgumentList $mosdat_who),
        'FullControl', 'ContainerInherit, ObjectInherit', 'None', 'Allow')
    $mosdat_rights.AddAccessRule($mosdat_rule)
}
$mosdat_code = $null
$mosdat_trouble = ''
$mosdat_lock = $null
try {
    [void][System.IO.Directory]::CreateDirectory($mosdat_dir, $mosdat_rights)
    # Held open until this process ends, however it ends: so the other one knows that somebody waits for it.
    $mosdat_lock = [System.IO.File]::Open("$mosdat_dir\lock", 'Create', 'ReadWrite', 'Read')
    [System.IO.File]::WriteAllText("$mosdat_dir\in", $mosdat_work)
    $mosdat_encoded = "`$d = '" + $mosdat_dir.Replace("'", "''") + "'`n`$start = '$mosdat_start'`n$mosdat_relay"
    $mosdat_encoded = [Convert]::ToBase64String([System.Text.Encoding]::Unicode.GetBytes($mosdat_encoded))
    $mosdat_line = "-NoProfile -NonInteractive -ExecutionPolicy Bypass -WindowStyle Hidden -EncodedCommand $mosdat_encoded"
    if ([Environment]::OSVersion.Version.Build -ge 17763) {
        # No window flashes on the desktop that is looked at.
        $mosdat_action = New-ScheduledTaskAction -Execute 'conhost.exe' -Argument "--headless powershell.exe $mosdat_line"
    } else {
        $mosdat_action = New-ScheduledTaskAction -Execute 'powershell.exe' -Argument $mosdat_line
    }
    $mosdat_principal = New-ScheduledTaskPrincipal -UserId $mosdat_account.Value -LogonType Interactive -RunLevel Limited
    # 4: what is started by hand has this priority; tasks have a lower one.
    $mosdat_settings = New-ScheduledTaskSettingsSet -AllowStartIfOnBatteries -DontStopIfGoingOnBatteries `
        -ExecutionTimeLimit ([TimeSpan]::Zero) -Priority 4
    [void](Register-ScheduledTask -TaskPath '\mosdat\' -TaskName $mosdat_name -Action $mosdat_action `
        -Principal $mosdat_principal -Settings $mosdat_settings)
    Start-ScheduledTask -TaskPath '\mosdat\' -TaskName $mosdat_name
    $mosdat_clock = [System.Diagnostics.Stopwatch]::StartNew()
    $mosdat_next = 1000
    $mosdat_ended = 0
    while (-not (Test-Path -LiteralPath "$mosdat_dir\exit")) {
        Start-Sleep -Milliseconds 40
        if ($mosdat_clock.ElapsedMilliseconds -lt $mosdat_next) { continue }
        $mosdat_next = $mosdat_clock.ElapsedMilliseconds + 1000
        $mosdat_task = Get-ScheduledTask -TaskPath '\mosdat\' -TaskName $mosdat_name
        if ($mosdat_task.State -eq 'Running') { $mosdat_ended = 0 } else { $mosdat_ended += 1 }
        if ($mosdat_ended -gt 20) {
            $mosdat_told = Get-ScheduledTaskInfo -TaskPath '\mosdat\' -TaskName $mosdat_name
            throw ('the task in the session of {0} is {1}, its last result is 0x{2:X8}' -f $mosdat_user, $mosdat_task.State, $mosdat_told.LastTaskResult)
        }
    }
    foreach ($mosdat_file in 'out', 'err') {
        if (-not (Test-Path -LiteralPath "$mosdat_dir\$mosdat_file")) { continue }
        $mosdat_stream = $mosdat_out.BaseStream
        if ($mosdat_file -eq 'err') { $mosdat_stream = $mosdat_err.BaseStream }
        $mosdat_read = [System.IO.File]::Open("$mosdat_dir\$mosdat_file", 'Open', 'Read', 'ReadWrite')
        $mosdat_read.CopyTo($mosdat_stream)
        $mosdat_read.Close()
        $mosdat_stream.Flush()
    }
    $mosdat_told = [System.IO.File]::ReadAllText("$mosdat_dir\exit").Trim()
    if ($mosdat_told -match '^-?\d+$') { $mosdat_code = [int]$mosdat_told } else { $mosdat_trouble = $mosdat_told }
} catch {
    $mosdat_trouble = $_.Exception.Message
} finally {
    Unregister-ScheduledTask -TaskPath '\mosdat\' -TaskName $mosdat_name -Confirm:$false -ErrorAction SilentlyContinue
    if ($mosdat_lock) { $mosdat_lock.Close() }
    Remove-Item -LiteralPath $mosdat_dir -Recurse -Force -ErrorAction SilentlyContinue
}
if ($null -eq $mosdat_code) { mosdat_stop ('broken Task-Scheduler ' + ($mosdat_trouble -replace '\s+', ' ')) }
exit $mosdat_code
