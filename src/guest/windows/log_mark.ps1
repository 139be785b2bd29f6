# What files are like now: size, moment of their making, checksum and path of each; those in everybody's home, as nobody may
# be logged in yet. One that cannot be read has no mark.
function mosdat_mark($path) {
    try {
        $path = [System.IO.Path]::GetFullPath($path)
        mosdat_mark_of $path
    } catch {
        $mosdat_err.WriteLine("${path}: $($_.Exception.GetBaseException().Message)")
    }
}
function mosdat_mark_of($path) {
    if (-not (Test-Path -LiteralPath $path)) { return "0 - - $path" }
    if (-not (Test-Path -LiteralPath $path -PathType Leaf)) { return }
    $stream = mosdat_open $path
    try {
        $size = $stream.Length
        $made = [System.IO.File]::GetCreationTimeUtc($path).Ticks
        "$size $made $(mosdat_sum $stream $size) $path"
    } finally {
        $stream.Close()
    }
}
"begin $([DateTime]::UtcNow.Ticks)"
$homes = @(Get-ChildItem 'HKLM:\SOFTWARE\Microsoft\Windows NT\CurrentVersion\ProfileList' | ForEach-Object {
    [Environment]::ExpandEnvironmentVariables($_.GetValue('ProfileImagePath'))
})
foreach ($path in $env:paths -split "`n") {
    if ($path -match '^~[\\/]') {
        foreach ($folder in $homes) { mosdat_mark "$folder\$($path.Substring(2))" }
    } else {
        mosdat_mark $path
    }
}
exit 0
