# Windows whose title contains $env:title, whatever the case of its letters. 0: there are some; 1: none. With $env:print
# `which` or `where` tells them; $env:before are those that do not count, $env:looks is how often it looks, $env:ended a file
# whose presence ends the waiting.
$before = @("$env:before" -split ' ' | Where-Object { $_ })
$looks = [int]$env:looks
while ($true) {
    $found = 0
    foreach ($window in [Mosdat.Native]::Shown()) {
        $title = [Mosdat.Native]::Title($window)
        if ($title.IndexOf($env:title, [StringComparison]::CurrentCultureIgnoreCase) -lt 0) { continue }
        $which = '{0}:{1}' -f $window.ToInt64(), [Mosdat.Native]::Process($window)
        if ($before -contains $which) { continue }
        if ($env:print -eq 'where') {
            $place = [Mosdat.Native]::Place($window)
            # One that goes meanwhile has no place.
            if ($place.Count -eq 4) { 'x {0} y {1} w {2} h {3}' -f $place[0], $place[1], $place[2], $place[3] }
        } elseif ($env:print -eq 'which') {
            $which
        }
        $found += 1
    }
    if ($found -gt 0) { exit 0 }
    $looks -= 1
    if ($looks -le 0) { exit 1 }
    if ($env:ended -and (Test-Path -LiteralPath $env:ended)) { exit 1 }
    Start-Sleep -Milliseconds 200
}
