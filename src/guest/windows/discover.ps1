# Whoever is logged on at the desktop. 3: nobody is, or Windows cannot tell yet.
try {
    $shells = @(Get-CimInstance Win32_Process -Filter "Name = 'explorer.exe'" | Where-Object { $_.SessionId -ne 0 })
    if ($shells.Count -eq 0) { exit 3 }
    if (@($shells | Select-Object -ExpandProperty SessionId -Unique).Count -gt 1) {
        # The session that the display shows.
        Add-Type -Namespace Mosdat -Name Console -MemberDefinition '[DllImport("kernel32.dll")] public static extern uint WTSGetActiveConsoleSessionId();'
        $console = [Mosdat.Console]::WTSGetActiveConsoleSessionId()
        $shells = @($shells | Where-Object { $_.SessionId -eq $console })
        if ($shells.Count -eq 0) { exit 3 }
    }
    $shell = $shells | Sort-Object CreationDate | Select-Object -First 1
    # It may have ended meanwhile.
    $owner = Invoke-CimMethod -InputObject $shell -MethodName GetOwner
    if (-not $owner.User) { exit 3 }
    $system = Get-CimInstance Win32_OperatingSystem
    $locks = @(Get-CimInstance Win32_Process -Filter "Name = 'LogonUI.exe'" | Where-Object { $_.SessionId -eq $shell.SessionId })
} catch {
    $mosdat_err.WriteLine($_.Exception.GetBaseException().Message)
    exit 3
}
"MOSDAT_USER=$($owner.Domain)\$($owner.User)"
'MOSDAT_LEADER=explorer.exe'
"MOSDAT_ABOUT_system=$($system.Caption)"
"MOSDAT_ABOUT_kernel=Windows $($system.Version) $($system.OSArchitecture)"
"MOSDAT_ABOUT_memory=$([math]::Floor($system.TotalVisibleMemorySize / 1024)) MiB"
if ($locks.Count -gt 0) { 'MOSDAT_ABOUT_screen=locked' }
exit 0
