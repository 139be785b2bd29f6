# Which start this is: processes of the system with the moment of their beginning, which no setting of the clock changes.
Get-CimInstance Win32_Process -Filter "Name = 'wininit.exe' OR Name = 'services.exe' OR Name = 'lsass.exe'" |
    Sort-Object ProcessId | ForEach-Object { '{0} {1} {2}' -f $_.Name, $_.ProcessId, $(if ($_.CreationDate) { $_.CreationDate.ToUniversalTime().Ticks }) }
exit 0
