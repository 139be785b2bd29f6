# 0: a process of this name runs, with or without .exe; 1: none. This one does not count.
$name = $env:name -replace '\.exe$', ''
$found = @(Get-Process -Name ([System.Management.Automation.WildcardPattern]::Escape($name)) -ErrorAction SilentlyContinue)
if (@($found | Where-Object { $_.Id -ne $PID }).Count -gt 0) { exit 0 }
exit 1
