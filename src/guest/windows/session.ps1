# Runs the script $mosdat_work as $mosdat_user in that user's session on the desktop: mosdat's own commands run in session 0,
# where there is none. A task of the Task Scheduler is the way into a session that needs no password. Script, output and
# exit code go by files in a folder that only the system and this user may look into.
$mosdat_before = @{ words = '' }
function mosdat_stop($words) {
    $mosdat_err.WriteLine("$($mosdat_before.words)mosdat-bootstrap: $words")
    exit 127
}
# What goes wrong here is no end of the command.
trap { mosdat_stop ('broken Task-Scheduler ' + ($_.Exception.Message -replace '\s+', ' ')) }
$mosdat_me = [System.Security.Principal.WindowsIdentity]::GetCurrent()
$mosdat_names = @($mosdat_me.Name, ($mosdat_me.Name -split '\\')[-1])
# In whatever language the system calls itself.
if ($mosdat_me.IsSystem) { $mosdat_names += 'SYSTEM', 'NT AUTHORITY\SYSTEM' }
if ($mosdat_names -contains $mosdat_user) {
    if ($mosdat_me.IsSystem -or [System.Diagnostics.Process]::GetCurrentProcess().SessionId -ne 0) {
        & ([ScriptBlock]::Create([regex]::Unescape($mosdat_work)))
        mosdat_stop 'broken PowerShell the script does not end'
    }
}
try {
    $mosdat_account = New-Object System.Security.Principal.NTAccount -ArgumentList $mosdat_user
    $mosdat_sid = $mosdat_account.Translate([System.Security.Principal.SecurityIdentifier]).Value
} catch [System.Security.Principal.IdentityNotMappedException] { mosdat_stop 'user' }
$mosdat_there = $false
# Windows starts the explorer anew where it ends.
foreach ($mosdat_try in 1..3) {
    foreach ($mosdat_shell in @(Get-CimInstance Win32_Process -Filter "Name = 'explorer.exe'")) {
        # It may have ended meanwhile.
        try { $mosdat_owner = Invoke-CimMethod -InputObject $mosdat_shell -MethodName GetOwnerSid } catch { continue }
        if ($mosdat_owner.Sid -eq $mosdat_sid -and $mosdat_shell.SessionId -ne 0) { $mosdat_there = $true }
    }
    if ($mosdat_there) { break }
    Start-Sleep -Milliseconds 300
}
if (-not $mosdat_there) { mosdat_stop 'session' }

# A folder in which these have all rights, and nobody else any.
function mosdat_rights($all) {
    $rights = New-Object System.Security.AccessControl.DirectorySecurity
    $rights.SetAccessRuleProtection($true, $false)
    foreach ($who in $all) { mosdat_allow $rights $who 'FullControl' 'ContainerInherit, ObjectInherit' }
    $rights
}
function mosdat_allow($rights, $who, $what, $inherited) {
    $rights.AddAccessRule((New-Object System.Security.AccessControl.FileSystemAccessRule -ArgumentList @(
        (New-Object System.Security.Principal.SecurityIdentifier -ArgumentList $who), $what, $inherited, 'None', 'Allow')))
}
$mosdat_root = Join-Path $env:ProgramData 'mosdat'
# Everybody may make folders there: this one is the system's before anything is in it. Others only pass through.
$mosdat_rights = mosdat_rights @('S-1-5-18', 'S-1-5-32-544')
mosdat_allow $mosdat_rights 'S-1-5-32-545' 'ReadAndExecute' 'None'
[void][System.IO.Directory]::CreateDirectory($mosdat_root, $mosdat_rights)
[System.IO.Directory]::SetAccessControl($mosdat_root, $mosdat_rights)
# What was left by those that were killed, or by a restart: a folder that nobody holds any more. It may hold secrets.
foreach ($mosdat_old in @(Get-ChildItem -LiteralPath $mosdat_root -Directory -ErrorAction SilentlyContinue)) {
    if ($mosdat_old.CreationTimeUtc -gt [DateTime]::UtcNow.AddMinutes(-1)) { continue }
    try {
        [System.IO.File]::Open("$($mosdat_old.FullName)\lock", 'Open', 'ReadWrite', 'None').Close()
    } catch [System.IO.FileNotFoundException], [System.IO.DirectoryNotFoundException] {
        $null = $_
    } catch {
        continue
    }
    Remove-Item -LiteralPath $mosdat_old.FullName -Recurse -Force -ErrorAction SilentlyContinue
}
foreach ($mosdat_old in @(Get-ScheduledTask -TaskPath '\mosdat\' -ErrorAction SilentlyContinue)) {
    if (-not (Test-Path -LiteralPath (Join-Path $mosdat_root $mosdat_old.TaskName))) {
        $mosdat_old | Unregister-ScheduledTask -Confirm:$false -ErrorAction SilentlyContinue
    }
}
$mosdat_name = [guid]::NewGuid().ToString('N')
$mosdat_dir = Join-Path $mosdat_root $mosdat_name
$mosdat_rights = mosdat_rights @('S-1-5-18', 'S-1-5-32-544', $mosdat_sid)
$mosdat_code = $null
$mosdat_trouble = ''
$mosdat_read = @{}
# Hands on what the command has said so far: where its time is up, this process is killed.
function mosdat_hand_on {
    foreach ($file in 'out', 'err') {
        if (-not $mosdat_read.ContainsKey($file)) {
            if (-not (Test-Path -LiteralPath "$mosdat_dir\$file")) { continue }
            $mosdat_read[$file] = [System.IO.File]::Open("$mosdat_dir\$file", 'Open', 'Read', 'ReadWrite, Delete')
        }
        $from = $mosdat_read[$file]
        if ($from.Position -ge $from.Length) { continue }
        $to = $mosdat_out.BaseStream
        if ($file -eq 'err') {
            $to = $mosdat_err.BaseStream
            # The words of mosdat_stop begin a line.
            $mosdat_before.words = "`n"
        }
        $from.CopyTo($to)
        $to.Flush()
    }
}
$mosdat_lock = $null
try {
    [void][System.IO.Directory]::CreateDirectory($mosdat_dir, $mosdat_rights)
    # Held open until this process ends, however it ends: so the other one knows that somebody waits for it.
    $mosdat_lock = [System.IO.File]::Open("$mosdat_dir\lock", 'Create', 'ReadWrite', 'Read')
    # The script, and what came behind it.
    $mosdat_lines = [string[]]$mosdat_sent
    $mosdat_lines[0] = $mosdat_work
    [System.IO.File]::WriteAllLines("$mosdat_dir\in", $mosdat_lines)
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
        mosdat_hand_on
        if ($mosdat_clock.ElapsedMilliseconds -lt $mosdat_next) { continue }
        $mosdat_next = $mosdat_clock.ElapsedMilliseconds + 1000
        if (Test-Path -LiteralPath "$mosdat_dir\begun") {
            # Whoever runs there holds it open.
            try {
                [System.IO.File]::Open("$mosdat_dir\begun", 'Open', 'ReadWrite', 'None').Close()
            } catch { continue }
            if (Test-Path -LiteralPath "$mosdat_dir\exit") { break }
            throw "what ran in the session of $mosdat_user was ended by somebody else before the command's end was known"
        }
        $mosdat_task = Get-ScheduledTask -TaskPath '\mosdat\' -TaskName $mosdat_name
        if ($mosdat_task.State -eq 'Running') { $mosdat_ended = 0 } else { $mosdat_ended += 1 }
        if ($mosdat_ended -gt 6) {
            $mosdat_told = Get-ScheduledTaskInfo -TaskPath '\mosdat\' -TaskName $mosdat_name
            throw ('the task in the session of {0} did not run: it is {1}, its last result is 0x{2:X8}' -f $mosdat_user, $mosdat_task.State, $mosdat_told.LastTaskResult)
        }
    }
    mosdat_hand_on
    $mosdat_told = [System.IO.File]::ReadAllText("$mosdat_dir\exit").Trim()
    if ($mosdat_told -match '^-?\d+$') { $mosdat_code = [int]$mosdat_told } else { $mosdat_trouble = $mosdat_told }
} catch {
    $mosdat_trouble = $_.Exception.Message
} finally {
    Unregister-ScheduledTask -TaskPath '\mosdat\' -TaskName $mosdat_name -Confirm:$false -ErrorAction SilentlyContinue
    if ($mosdat_lock) { $mosdat_lock.Close() }
    foreach ($mosdat_stream in $mosdat_read.Values) { $mosdat_stream.Close() }
    # The other one may be about to end.
    foreach ($mosdat_try in 1..20) {
        Remove-Item -LiteralPath $mosdat_dir -Recurse -Force -ErrorAction SilentlyContinue
        if (-not (Test-Path -LiteralPath $mosdat_dir)) { break }
        Start-Sleep -Milliseconds 50
    }
}
if ($null -eq $mosdat_code) { mosdat_stop ('broken Task-Scheduler ' + ($mosdat_trouble -replace '\s+', ' ')) }
exit $mosdat_code
